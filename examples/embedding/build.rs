//! The tutorial in, its Rust out: every block of docs/embedding.md that begins with ```rust, in
//! order.

use std::path::Path;

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder");
    let into = std::env::var("OUT_DIR").expect("cargo names a folder for output");
    let tutorial = Path::new(&here).join("../../docs/embedding.md");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", tutorial.display());
    let text = std::fs::read_to_string(&tutorial).expect("docs/embedding.md");
    let (mut code, mut inside) = (String::new(), false);
    for line in text.lines() {
        match (inside, line) {
            (false, "```rust") => inside = true,
            (true, "```") => inside = false,
            (true, line) => code = code + line + "\n",
            (false, _) => {}
        }
    }
    std::fs::write(Path::new(&into).join("tutorial.rs"), code).expect("tutorial.rs");
}
