//! Registries: names to images and back, over HTTP (OCI distribution specification 1.1, docker's
//! registry API v2). The only crate that speaks TLS.
#![forbid(unsafe_code)]

mod auth;
mod challenge;
mod client;
mod copy;
pub mod credentials;
mod fault;
mod fetch;
mod hosts;
mod net;
mod progress;
mod pull;
mod push;
mod resolve;
mod shell;
mod upload;

pub use client::{Access, Client, Fetched};
pub use copy::{Origin, Which};
pub use fault::{Fault, Kind};
pub use hosts::{Registries, Settings};
pub use net::Net;
pub use progress::{Event, Progress};
pub use pull::Pull;
pub use push::{Parcel, Push};
pub use upload::Source;
