//! Writes the definitions of the four kinds as YAML: beside this crate's sources, and into their chart.

use std::path::Path;
use std::{error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, text) in ordermill_crds::generated_files()? {
        fs::write(repository.join(&path), text)?;
        println!("wrote {path}");
    }
    Ok(())
}
