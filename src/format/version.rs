//! Versions of the container.

use super::FormatError;
use super::error::Fault;

/// The version of a container. A major version is readable forever; a minor one only adds
/// ancillary sections that older readers skip, unless `least_reader_minor` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    pub major: u16,
    pub minor: u16,
    /// The least minor version a reader must know.
    pub least_reader_minor: u16,
}

impl Version {
    /// What this version of keepnet writes, in both forms.
    pub const CURRENT: Self = Self { major: 1, minor: 0, least_reader_minor: 0 };

    /// Refuses versions that this reader does not know. `what` is the container, `part` and
    /// `offset` say where its version stands.
    pub(super) fn check(
        self,
        what: &'static str,
        part: &str,
        offset: u64,
    ) -> Result<(), FormatError> {
        let Self { major, minor, least_reader_minor } = self;
        let fault = |what, expected: String, found: u16| {
            let found = found.to_string();
            Err(FormatError::damaged(part, offset, Fault::Value { what, expected, found }))
        };
        let newer = |found, supported| Err(FormatError::Version { what, found, supported });
        if major == 0 {
            return fault("the major version", "1 or more".to_owned(), major);
        }
        if least_reader_minor > minor && major == Self::CURRENT.major {
            let expected = format!("at most the minor version, {minor}");
            return fault("the least minor version of a reader", expected, least_reader_minor);
        }
        if major > Self::CURRENT.major {
            return newer(format!("version {major}"), Self::CURRENT.major.to_string());
        }
        if least_reader_minor > Self::CURRENT.minor {
            let (found, known) = (least_reader_minor, Self::CURRENT.minor);
            return newer(format!("version {major}.{found}"), format!("{major}.{known}"));
        }
        Ok(())
    }
}
