//! The image specification's JSON (manifest.md, image-index.md, config.md) as far as it is read:
//! own structs that keep unknown keys, media types as text, since both OCI's and docker's occur.

use crate::{Digest, Platform};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an image's configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer as it is.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of a layer, gzipped.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of a layer, compressed by zstd.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Media type of a manifest of docker's (schema 2).
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The annotation that names an image in a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// containerd's and docker's annotation with the whole name, beside the bare tag.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// What points to a blob.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Of the blob.
    #[serde(default)]
    pub media_type: String,
    /// Of the blob.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// What an index' entry is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "Map::is_empty", deserialize_with = "maybe")]
    pub annotations: Map<String, Value>,
    /// All else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Descriptor {
    /// Of a blob without annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            annotations: Map::new(),
            extra: Map::new(),
        }
    }

    /// The name in a layout.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).and_then(Value::as_str)
    }

    /// Whether the blob lists images for several platforms.
    pub fn is_index(&self) -> bool {
        [INDEX, DOCKER_LIST].contains(&self.media_type.as_str())
    }

    /// Whether the blob is one image's manifest.
    pub fn is_manifest(&self) -> bool {
        [MANIFEST, DOCKER_MANIFEST].contains(&self.media_type.as_str())
    }
}

/// index.json, and an index within a layout.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u64,
    /// What there is.
    #[serde(default, deserialize_with = "maybe")]
    pub manifests: Vec<Descriptor>,
    /// All else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One image.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u64,
    /// Its configuration.
    pub config: Descriptor,
    /// Lowest first.
    pub layers: Vec<Descriptor>,
    /// All else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a manifest's `config` points to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// As Go names it.
    #[serde(default)]
    pub architecture: String,
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// How to run it.
    #[serde(default, deserialize_with = "maybe")]
    pub config: Execution,
    /// The layers, plain.
    pub rootfs: RootFs,
    /// How it came to be, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "maybe")]
    pub history: Vec<History>,
    /// All else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One entry of a configuration's `history`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "maybe")]
    pub created_by: String,
    /// Free text.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "maybe")]
    pub comment: String,
    /// Whether it made no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "maybe")]
    pub empty_layer: bool,
    /// All else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Config {
    /// What machine the image is for.
    pub fn platform(&self) -> Platform {
        let variant = self.extra.get("variant").and_then(Value::as_str).unwrap_or_default();
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: variant.into(),
            extra: Map::new(),
        }
    }
}

/// `rootfs` of a configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Digests of the plain tars, lowest first.
    #[serde(default, deserialize_with = "maybe")]
    pub diff_ids: Vec<Digest>,
    /// All else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// `config` of a configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Execution {
    /// USER[:GROUP].
    #[serde(deserialize_with = "maybe")]
    pub user: String,
    /// NAME=VALUE.
    #[serde(deserialize_with = "maybe")]
    pub env: Vec<String>,
    /// What stands before the command.
    #[serde(deserialize_with = "maybe")]
    pub entrypoint: Vec<String>,
    /// The command.
    #[serde(deserialize_with = "maybe")]
    pub cmd: Vec<String>,
    /// Where it starts.
    #[serde(deserialize_with = "maybe")]
    pub working_dir: String,
    /// Paths that want a volume: the keys.
    #[serde(deserialize_with = "maybe")]
    pub volumes: Map<String, Value>,
    /// What asks it to end.
    #[serde(deserialize_with = "maybe")]
    pub stop_signal: String,
    /// All else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// null, which Go writes for an empty list, is the default.
fn maybe<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}
