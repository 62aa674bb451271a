//! The build script of the programs that clone into containers: they begin at sys::entry, where it is
//! (x86-64, statically linked against glibc); elsewhere sys::seal does all of it.

fn main() {
    println!("cargo:rerun-if-changed=../../common/sys/begin.rs");
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|v| v.split(',').any(|v| v == value));
    if is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("CARGO_CFG_TARGET_FEATURE", "crt-static")
    {
        // An OCI runtime clones at some of its verbs only.
        let oci = is("CARGO_PKG_NAME", "stave-oci");
        println!("cargo:rustc-link-arg-bins=-Wl,-e,{}", if oci { "stave_start_verb" } else { "stave_start" });
    }
}
