//! Block images and mounts that go away by themselves.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

/// A file with an ext4 file system in it.
pub(crate) struct Image {
    home: TempDir,
}

impl Image {
    /// Makes one, when images can be made and mounted here.
    pub(crate) fn make() -> Option<Self> {
        let image = Self { home: memory_folder() };
        let file = fs::File::create(image.file()).unwrap();
        file.set_len(IMAGE_BYTES).unwrap();
        let made = run("mkfs.ext4", &["-q", "-F", &image.file().to_string_lossy()]);
        // A first mount shows whether mounting is permitted.
        (made && image.mount().is_some()).then_some(image)
    }

    /// Mounts it.
    pub(crate) fn mount(&self) -> Option<Mount> {
        let path = self.home.path().join("mnt");
        fs::create_dir_all(&path).unwrap();
        let (from, to) = (self.file(), path.clone());
        run("mount", &["-o", "loop", &from.to_string_lossy(), &to.to_string_lossy()])
            .then_some(Mount { path })
    }

    /// Copies it as it is at this moment, below whatever is mounted from it.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self { home: memory_folder() };
        fs::copy(self.file(), copy.file()).unwrap();
        copy
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("image")
    }
}

/// A mounted file system, unmounted when dropped.
pub(crate) struct Mount {
    path: PathBuf,
}

impl Mount {
    /// A file system in memory with room for so many megabytes.
    pub(crate) fn tmpfs(below: &Path, megabytes: u32) -> Option<Self> {
        let path = below.join("disk");
        fs::create_dir_all(&path).unwrap();
        let size = format!("size={megabytes}m");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &path.to_string_lossy()])
            .then_some(Self { path })
    }

    /// Makes room for so many megabytes.
    pub(crate) fn grow(&self, megabytes: u32) {
        let size = format!("remount,size={megabytes}m");
        assert!(run("mount", &["-o", &size, &self.path.to_string_lossy()]));
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let path = self.path.to_string_lossy();
        // Lazily if somebody still has a file open: the name must be free in any case.
        if !run("umount", &[&path]) {
            run("umount", &["-l", &path]);
        }
    }
}

/// A folder in memory where there is one: an image there is written at once.
fn memory_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

const IMAGE_BYTES: u64 = 96 * 1024 * 1024;
