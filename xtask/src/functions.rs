//! A Rust source's text in; its functions out: what they are called, and where they are.

use std::ops::{Range, RangeInclusive};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Signature, Type};

use xtask::{ElseSay, Result};

/// A function with a body.
pub struct Function {
    pub name: String,
    /// Its lines, from 1 on.
    pub lines: RangeInclusive<usize>,
    /// The bytes of its body, braces included.
    pub body: Range<usize>,
    /// It may run while the program is built.
    pub is_const: bool,
    /// What it returns has no name, so that all its ends must return the same.
    pub nameless: bool,
}

/// What is found in a source.
#[derive(Default)]
pub struct Functions {
    /// The functions, those around others first.
    pub all: Vec<Function>,
    /// The bytes of what is computed while the program is built.
    pub constants: Vec<Range<usize>>,
}

impl Functions {
    /// Finds the functions of `text`.
    pub fn of(text: &str) -> Result<Functions> {
        let file = syn::parse_file(text).else_say("cannot parse it")?;
        let mut functions = Functions::default();
        functions.visit_file(&file);
        Ok(functions)
    }

    fn add(&mut self, signature: &Signature, whole: proc_macro2::Span, block: &Block) {
        let output = signature.output.span().source_text().unwrap_or_default();
        self.all.push(Function {
            name: signature.ident.to_string(),
            lines: whole.start().line..=whole.end().line,
            body: block.span().byte_range(),
            is_const: signature.constness.is_some(),
            nameless: output.contains("impl "),
        });
    }
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_fn(&mut self, node: &'a syn::ItemFn) {
        self.add(&node.sig, node.span(), &node.block);
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'a syn::ImplItemFn) {
        self.add(&node.sig, node.span(), &node.block);
        visit::visit_impl_item_fn(self, node);
    }

    fn visit_trait_item_fn(&mut self, node: &'a syn::TraitItemFn) {
        if let Some(block) = &node.default {
            self.add(&node.sig, node.span(), block);
        }
        visit::visit_trait_item_fn(self, node);
    }

    fn visit_expr_const(&mut self, node: &'a syn::ExprConst) {
        self.constants.push(node.span().byte_range());
    }

    fn visit_type(&mut self, node: &'a Type) {
        self.constants.push(node.span().byte_range());
    }
}
