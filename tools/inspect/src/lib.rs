//! The document of a container again: it may be piped on.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::{Parser, ValueEnum};
use cli::Host;
use state::{Entry, Record};

/// Print the documents of containers
#[derive(Parser, Debug)]
#[command(name = "stave-inspect", version)]
pub struct Words {
    /// stave: the document; oci: without the key that OCI does not know; state: the OCI state
    #[arg(long = "as", value_enum, default_value_t = As::Stave, value_name = "FORM")]
    form: As,
    /// Containers, by name or id
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// What is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum As {
    /// The document as it rests.
    Stave,
    /// A runtime's config.json.
    Oci,
    /// What `runc state` prints.
    State,
}

/// The main of `stave inspect`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    cli::each("inspect", &words.containers, |word| one(word, words.form, &host).map(|()| String::new()))
}

fn one(word: &str, form: As, host: &Host) -> Result<()> {
    let roots = &host.roots;
    let id = state::find(roots, word)?;
    let mut doc = state::read(roots, &id)?;
    match form {
        As::Stave => {}
        As::Oci => doc.remove("/stave"),
        As::State => {
            let record = Record::read(roots, &id)?;
            let entry = Entry { id: id.clone(), doc: Ok(std::mem::take(&mut doc)), record: record.clone() };
            doc.set("/id", id.as_str())?;
            doc.set("/status", entry.status(host).word())?;
            if let Some(pid) = record.as_ref().and_then(Record::running) {
                doc.set("/pid", pid)?;
            }
            doc.set("/bundle", roots.bundle(&id).to_string_lossy().into_owned())?;
            if let Some(exit) = record.and_then(|r| r.stave.exit) {
                doc.set("/stave/exit", serde_json::to_value(exit)?)?;
            }
        }
    }
    cli::print_doc(&doc)
}
