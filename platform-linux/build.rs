//! How the binary is linked: static, nothing of libc, no sections that nobody reads at run time.
//!
//! The flags are given here and not in a configuration file because there they would reach build
//! scripts too, which are ordinary programs. In an optimised build a reachable panic is a link
//! error: the panic handler calls a function that does not exist (src/main.rs).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=link.ld");
    println!("cargo:rerun-if-changed=../.cargo/rustc-agent");
    println!("cargo:rustc-check-cfg=cfg(prove_no_panic)");
    let optimised = std::env::var("OPT_LEVEL").is_ok_and(|level| level != "0");
    if optimised {
        println!("cargo:rustc-cfg=prove_no_panic");
    }
    let script = format!("{}/link.ld", std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,--no-eh-frame-hdr",
        "-Wl,-z,norelro",
        "-Wl,-z,noexecstack",
        "-Wl,--icf=all",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{script}");
}
