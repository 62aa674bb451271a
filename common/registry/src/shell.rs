//! `-n`: the requests as lines of shell, for curl.

use crate::client::{ACCEPT, Client};
use anyhow::Result;
use std::path::{Path, PathBuf};
use store::{Descriptor, Digest};

/// A word for a shell.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

impl Client<'_> {
    /// curl and its words for this registry; what the first line sets stands for the credentials.
    pub(crate) fn curl(&self) -> Result<(Vec<String>, String)> {
        let end = &self.ends[0];
        Ok(match end.auth().shown(end.host(), &self.scopes())? {
            None => (Vec::new(), "curl -fsSL".into()),
            Some(crate::auth::Shown::Basic(user)) => (Vec::new(), format!("curl -fsSL -u {}", quote(&user))),
            Some(crate::auth::Shown::Bearer { url, user }) => {
                let user = user.map_or(String::new(), |u| format!(" -u {}", quote(&u)));
                let line =
                    format!("token=$(curl -fsS{user} {} | jq -r '.token // .access_token')", quote(&url));
                (vec![line], "curl -fsSL -H \"Authorization: Bearer $token\"".into())
            }
        })
    }

    /// A manifest and blobs into files of their digests' names.
    pub(crate) fn shell(&self, manifest: &Digest, blobs: &[String]) -> Result<Vec<String>> {
        let (mut lines, curl) = self.curl()?;
        let url = |path: String| quote(&self.url(&self.ends[0], &path));
        let accept = quote(&format!("Accept: {ACCEPT}"));
        lines.push(format!(
            "{curl} -H {accept} -o {} {}",
            manifest.hex(),
            url(format!("manifests/{manifest}"))
        ));
        for blob in blobs {
            let file = blob.strip_prefix("sha256:").unwrap_or(blob);
            lines.push(format!("{curl} -o {file} {}", url(format!("blobs/{blob}"))));
        }
        Ok(lines)
    }

    /// Blobs out of files, and then the manifest. No mount is tried.
    pub(crate) fn shell_push(
        &self,
        blobs: &[(String, PathBuf)],
        target: &str,
        manifest: &Descriptor,
        file: &Path,
    ) -> Result<Vec<String>> {
        let (mut lines, curl) = self.curl()?;
        let base = self.ends[0].base(self.net);
        let url = |path: &str| quote(&self.url(&self.ends[0], path));
        for (digest, file) in blobs {
            let file = quote(&file.to_string_lossy());
            let find = format!(
                "sed -n 's|^[Ll]ocation: *||p' | tr -d '\\r' | sed 's|^/|{base}/|; s|?.*|&\\&|; /?/!s|$|?|'"
            );
            lines.push(format!("to=$({curl} -X POST -D - -o /dev/null {} | {find})", url("blobs/uploads/")));
            lines.push(format!(
                "{curl} -T {file} -H 'Content-Type: application/octet-stream' \"${{to}}digest={digest}\""
            ));
        }
        let (file, kind) =
            (quote(&file.to_string_lossy()), quote(&format!("Content-Type: {}", manifest.media_type)));
        lines.push(format!("{curl} -T {file} -H {kind} {}", url(&format!("manifests/{target}"))));
        Ok(lines)
    }
}
