//! Writes the OpenAPI documents of the APIs to `workloads/backend/openapi/`.
#![allow(missing_docs)]

use std::path::Path;
use std::{fs, io};

use ordermill_backend::{order, stock, text_of};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    fs::create_dir_all(&folder)?;
    for (file, document) in [
        ("order.json", order::openapi()),
        ("stock.json", stock::openapi()),
    ] {
        fs::write(folder.join(file), text_of(&document))?;
    }
    Ok(())
}
