//! Archives of images come in, whole or not at all; what came in can go on to another store.

use super::line;
use crate::place::{Place, remove};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use store::{Choice, Digest, Form, Input, Loaded, Saved, Store, ingest};

const MOST: usize = 1 << 20;

thread_local! {
    static PLACE: Place = Place::new(|_| {});
}

/// docker's, OCI's, a root file system, or none.
pub(crate) fn archive(bytes: &[u8]) {
    if bytes.len() > MOST {
        return;
    }
    PLACE.with(|place| {
        let base = bytes.len().is_multiple_of(2).then_some("base.tar");
        match load(&place.store, bytes, base) {
            Ok(images) => {
                inspect(&place.store, &images);
                elsewhere(place, &images);
                let again = load(&place.store, bytes, base);
                let again = again.unwrap_or_else(|e| panic!("it was fine the first time: {e:#}"));
                assert_eq!(digests(&again), digests(&images));
                fs::remove_file(place.store.path().join("index.json")).unwrap();
                for blob in blobs(&place.store) {
                    place.forget(&blob);
                }
            }
            Err(e) => drop(line(&e)),
        }
        place.check("after loading");
    });
}

/// In small pieces, as a pipe may give them.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let most = buf.len().min(self.0.len()).min(1000);
        self.0.read(&mut buf[..most])
    }
}

type Loading = anyhow::Result<Vec<Loaded>>;

fn load(store: &Store, bytes: &[u8], base: Option<&str>) -> Loading {
    let choice = Choice { base, ..Choice::default() };
    ingest(store, Input::Stream(Box::new(Pieces(bytes))), &choice)?.commit()
}

fn digests(images: &[Loaded]) -> BTreeMap<&Digest, &[String]> {
    images.iter().map(|i| (&i.descriptor.digest, i.names.as_slice())).collect()
}

fn blobs(store: &Store) -> Vec<Digest> {
    let list = fs::read_dir(store.path().join("blobs/sha256")).unwrap();
    let names = list.map(|e| e.unwrap().file_name().into_string().unwrap());
    names.map(|hex| Digest::parse(&format!("sha256:{hex}")).expect("a temporary file is left")).collect()
}

/// Each image is there by digest and by its names, with blobs that are what they are called.
fn inspect(store: &Store, images: &[Loaded]) {
    assert!(!images.is_empty());
    for image in images {
        let word = image.descriptor.digest.to_string();
        let opened = store.image(&word).unwrap_or_else(|e| panic!("{word}: {e:#}"));
        store.plan(&opened).unwrap();
        assert!(opened.descriptor.digest == image.descriptor.digest, "an index was taken in as an image");
        for d in opened.manifest.layers.iter().chain([&opened.manifest.config, &opened.descriptor]) {
            assert_eq!(fs::metadata(store.blob(&d.digest)).unwrap().len(), d.size, "{}", d.digest);
        }
        for name in &image.names {
            assert_eq!(store::normal(name).unwrap(), *name);
            store.find(name).unwrap();
        }
    }
    for digest in blobs(store) {
        assert_eq!(Digest::of(&fs::read(store.blob(&digest)).unwrap()), digest);
    }
}

/// Another store takes the same images from this one's directory, and from every form of archive.
fn elsewhere(place: &Place, images: &[Loaded]) {
    let same = digests(images);
    let taken = other(place, Input::Dir(&place.store.path()));
    assert!(same.keys().eq(digests(&taken).keys()), "{same:?}, elsewhere {taken:?}");
    let saved = |image: &Loaded| {
        let opened = place.store.image(&image.descriptor.digest.to_string()).unwrap();
        Saved { image: opened, names: image.names.clone() }
    };
    let saved: Vec<Saved> = images.iter().map(saved).collect();
    for form in [Form::Both, Form::Oci, Form::Docker] {
        let path = place.path.join("saved.tar");
        place.store.save(&saved, form, &mut File::create(&path).unwrap()).unwrap();
        let taken = other(place, Input::Stream(Box::new(File::open(&path).unwrap())));
        fs::remove_file(&path).unwrap();
        // docker's form has no manifest: it is made anew.
        if form == Form::Docker {
            assert!(taken.len() <= images.len() && !taken.is_empty());
        } else {
            assert_eq!(digests(&taken), same, "{form:?}");
        }
    }
}

/// What a store of its own takes in.
fn other(place: &Place, input: Input) -> Vec<Loaded> {
    let dir = place.path.join("elsewhere");
    let store = Store::new(&dir);
    let taken = {
        let _work = store.work().unwrap();
        let taken = ingest(&store, input, &Choice::default()).and_then(|i| i.commit());
        taken.unwrap_or_else(|e| panic!("what came in is refused elsewhere: {e:#}"))
    };
    remove(&dir);
    taken
}
