//! The build script of the programs that clone into containers: they begin at sys::entry, where it is
//! (x86-64, statically linked against glibc); elsewhere sys::seal does all of it. What they usually go
//! through lies side by side in a release (order.ld, of `make order`): a third less memory, and a
//! twentieth less time.

fn main() {
    let order = concat!(env!("CARGO_MANIFEST_DIR"), "/../../common/sys/order.ld");
    println!("cargo:rerun-if-changed=../../common/sys/begin.rs");
    println!("cargo:rerun-if-changed={order}");
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|v| v.split(',').any(|v| v == value));
    if is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("CARGO_CFG_TARGET_FEATURE", "crt-static")
    {
        // An OCI runtime clones at some of its verbs only.
        let oci = is("CARGO_PKG_NAME", "stave-oci");
        println!("cargo:rustc-link-arg-bins=-Wl,-e,{}", if oci { "stave_start_verb" } else { "stave_start" });
        // ld.bfd and ld.lld read it; of a linker that somebody chose that is not known.
        let chosen = std::env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|f| f.contains("fuse-ld"));
        if is("PROFILE", "release") && !chosen {
            println!("cargo:rustc-link-arg-bins=-Wl,-T,{order}");
        }
    }
}
