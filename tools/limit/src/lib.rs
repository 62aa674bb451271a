//! The cgroup, and the limits in it: on v1, v2 and hybrid hosts.
#![forbid(unsafe_code)]

mod driver;
mod flags;
mod named;
mod view;

pub use flags::Limit;
pub use named::{Words, run};

use anyhow::{Result, bail};
use cli::Host;
use doc::Doc;
use state::{Place, Roots};
use std::path::Path;
use step::{Act, Step};

impl cli::Stage for Limit {
    const NAME: &'static str = "limit";
    const ABOUT: &'static str = "Make a container's cgroup and set its limits";

    fn edit(&self, doc: &mut Doc, host: &Host) -> Result<()> {
        driver::edit(self, doc, host)?;
        flags::edit(self, doc, host)
    }

    /// With a fresh cgroup for each start: one that was there, and that nobody is in, is made anew.
    fn plan(doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        let (id, place) = cgroup(doc)?;
        let mut steps = limits::steps(doc, host, &place)?;
        let old = |s: &Step| match &s.act {
            Act::Cgroup { path, shared: false } if path.ends_with(id) && path.is_dir() => Some(path.clone()),
            _ => None,
        };
        let found: Vec<_> = steps.iter().enumerate().filter_map(|(n, s)| Some((n, old(s)?))).collect();
        for (n, cgroup) in found.into_iter().rev() {
            steps.insert(n, Step::parent(Act::Renew { cgroup }));
        }
        Ok(steps)
    }

    /// The cgroups above are the caller's, who named them; but not ours, that of all containers.
    fn leaves(doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        let (id, place) = cgroup(doc)?;
        let own = Roots::cgroup(id);
        let all = Path::new(own.trim_start_matches('/')).parent().map(Path::to_owned).unwrap_or_default();
        let ours = |path: &Path| place.path == own && path.ends_with(&all);
        let mut steps = limits::steps(doc, host, &place)?;
        steps.retain(|s| !matches!(&s.act, Act::Cgroup { path, shared: true } if !ours(path)));
        Ok(steps)
    }

    fn view(doc: &Doc, host: &Host) -> Result<String> {
        let (_, place) = cgroup(doc)?;
        Ok(view::table(&view::rows(doc, host, &place.path)?))
    }
}

/// The id, and where its cgroups are.
fn cgroup(doc: &Doc) -> Result<(&str, Place)> {
    let Some(id) = doc.id()? else { bail!("the document has no id") };
    Ok((id, Place::of(doc, id)?))
}
