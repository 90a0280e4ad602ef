//! What is in an image besides labels: one program, and the few files that it or its libraries look for.

use std::path::Path;
use std::{fs, io};

use crate::{Program, authorities};

/// The user and group of images, nobody's elsewhere; a number, so that Kubernetes sees that it is not root.
pub const USER: u32 = 65532;

/// Where the authorities lie: one of the places that OpenSSL's users, librdkafka among them, look in.
pub const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// A file of an image. It belongs to root, so that the program cannot change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// From the root, without a leading slash.
    pub path: String,
    /// Permissions, such as `0o644`.
    pub mode: u32,
    /// What is in it.
    pub content: Vec<u8>,
}

/// The files of the image of `program`, by path; `binary` is the program itself, statically linked.
#[must_use]
pub fn files(program: Program, binary: Vec<u8>) -> Vec<File> {
    let text = |path: &str, content: String| File {
        path: path.to_owned(),
        mode: 0o644,
        content: content.into_bytes(),
    };
    let mut files = vec![
        text("etc/group", format!("nonroot:x:{USER}:\n")),
        // Without it glibc asks DNS alone, and knows neither localhost nor what a pod has in hostAliases.
        text("etc/nsswitch.conf", "hosts: files dns\n".to_owned()),
        text(
            "etc/passwd",
            format!("nonroot:x:{USER}:{USER}:nonroot:/:/sbin/nologin\n"),
        ),
        text(AUTHORITIES, authorities::bundle()),
        File {
            path: program.name().to_owned(),
            mode: 0o755,
            content: binary,
        },
    ];
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Writes `files` below the folder `root`, which the Dockerfile copies from.
///
/// # Errors
/// When a folder or a file cannot be written.
pub fn write(files: &[File], root: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    for file in files {
        let path = root.join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &file.content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}
