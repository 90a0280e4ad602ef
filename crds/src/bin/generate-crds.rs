//! Writes the definitions of the four kinds as YAML beside this crate's sources.

use std::path::Path;
use std::{error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for definition in ordermill_crds::definitions()? {
        let path = folder.join(format!("{}.yaml", definition.spec.names.plural));
        fs::write(&path, ordermill_crds::definition_yaml(&definition)?)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}
