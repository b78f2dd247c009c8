//! Each version stands once: the manifests and documents that cannot take it from there go in, and
//! say the same.

use std::fs;
use std::path::Path;

fn text(path: &str) -> String {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first version that a manifest says.
fn version(path: &str) -> Option<String> {
    let text = text(path);
    let line = text.lines().find_map(|line| line.strip_prefix("version = \""))?;
    line.strip_suffix('"').map(str::to_owned)
}

/// The C library is a workspace of its own, which cannot take the version from the other one; what
/// is never published has none.
#[test]
fn the_product_has_one_version() {
    let product = version("Cargo.toml").expect("a version");
    assert_eq!(version("core-c/Cargo.toml"), Some(product));
    let others =
        ["core-c/header", "examples/embedding", "fuzz", "simulation", "tests", "xtask", "core"];
    for folder in others {
        assert_eq!(version(&format!("{folder}/Cargo.toml")), None, "{folder}");
    }
}

#[test]
fn the_documents_name_the_schema_that_is_followed() {
    let level = qga_core::schema_version!();
    for (path, sentence) in [
        ("README.md", format!("follows the schema of QEMU {level} |")),
        ("docs/differences.md", format!("(QEMU {level}, Linux)")),
        ("docs/differences.md", format!("| `{level}`, the schema that is followed")),
    ] {
        assert!(text(path).contains(&sentence), "{path}: {sentence}");
    }
}
