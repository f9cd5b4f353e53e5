//! Cargo.lock, moved by cargo.

use super::{Project, ProjectError, call};

impl Project {
    /// Has cargo move the lock: `cargo update` with these arguments. The network is used only where the index on this
    /// machine is not enough. Unlike all else here, this writes into the project.
    ///
    /// # Errors
    /// When there is no cargo, or it refuses.
    pub fn update(&self, arguments: &[&str]) -> Result<(), ProjectError> {
        let target = tempfile::Builder::new().prefix("lamina-update-").tempdir().map_err(ProjectError::Folder)?;
        let ask = |network: bool| {
            let mut command = self.cargo(target.path());
            command.arg("update").args(arguments);
            if !network {
                command.arg("--offline");
            }
            call::answer("cargo", command)
        };
        match ask(false) {
            Err(ProjectError::Unfetched(_) | ProjectError::Failed { .. }) => ask(true),
            answer => answer,
        }
        .map(drop)
    }
}
