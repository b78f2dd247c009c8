//! In an optimised build a reachable panic is a link error: the panic handler calls a function that
//! does not exist (src/lib.rs).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(prove_no_panic)");
    if std::env::var("OPT_LEVEL").is_ok_and(|level| level != "0") {
        println!("cargo:rustc-cfg=prove_no_panic");
    }
}
