//! The fuzz targets' seeds: written from here, and played on every test run.
//!
//! `WRITE_SEEDS=1 cargo test -p netrx-oracle --test seeds` writes them to `fuzz/seeds`. What else lies there is played as
//! well: an input that the fuzzer found, saved as `fuzz/seeds/TARGET/found-WHAT`, is a regression test.

use std::path::{Path, PathBuf};
use std::{fs, io};

use netrx_oracle::targets;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds")
}

#[test]
fn the_seeds_are_written_as_they_are_made() -> io::Result<()> {
    for seed in targets::seeds() {
        let folder = folder().join(seed.target);
        let file = folder.join(seed.name);
        if std::env::var_os("WRITE_SEEDS").is_some() {
            fs::create_dir_all(folder)?;
            fs::write(&file, &seed.input)?;
        }
        assert_eq!(fs::read(file)?, seed.input, "{} of {}: write it anew", seed.name, seed.target);
    }
    Ok(())
}

#[test]
fn every_target_passes_its_seeds() -> io::Result<()> {
    for (target, play) in targets::TARGETS {
        let files: Vec<_> = fs::read_dir(folder().join(target))?.collect::<Result<_, _>>()?;
        assert!(!files.is_empty(), "{target} has no seeds");
        for file in files {
            println!("{}", file.path().display());
            play(&fs::read(file.path())?);
        }
    }
    Ok(())
}
