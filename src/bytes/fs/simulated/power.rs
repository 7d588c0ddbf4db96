//! What a loss of power leaves, in the worst file system that POSIX allows:
//!
//! - What a file or a directory held when it was last flushed is there.
//! - Of every change since, it may or may not be: each block written, the new length (a block that
//!   is missing within it reads as zeros), each name. Later changes may be there without earlier.
//! - Flushing a file does not flush the name it stands under.
//! - A rename of a directory, or an exchange, is there or not. Of a file's, one half may be.

use std::collections::HashSet;
use std::ffi::OsString;

use super::{Content, Image, Node, SimulatedFs};

/// What can be on the disk or not.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Names in a directory stand for something else from now on, or for nothing.
    Names {
        directory: Node,
        names: Vec<(OsString, Option<Node>)>,
    },
    /// The file is at least that long.
    Length {
        file: Node,
        length: usize,
    },
    Block {
        file: Node,
        offset: usize,
        bytes: Vec<u8>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    New(Content),
    Change(Change),
    Sync(Node),
}

impl Change {
    fn node(&self) -> Node {
        match *self {
            Self::Names { directory, .. } => directory,
            Self::Length { file, .. } | Self::Block { file, .. } => file,
        }
    }

    /// Whether it changes the bytes or the names of that one.
    pub(super) fn concerns(&self, node: Node) -> bool {
        let named = |(_, named): &(_, Option<Node>)| *named == Some(node);
        self.node() == node || matches!(self, Self::Names { names, .. } if names.iter().any(named))
    }
}

/// Looks at the disks that a loss of power can leave, and counts them.
pub(crate) struct Survey {
    /// Of how many at each moment.
    pub(crate) limit: usize,
    pub(crate) moments: usize,
    pub(crate) disks: usize,
    distinct: HashSet<u64>,
    state: u64,
}

impl Survey {
    pub(crate) fn new(limit: usize) -> Self {
        let state = 0x9E37_79B9_7F4A_7C15;
        Self { limit, moments: 0, disks: 0, distinct: HashSet::new(), state }
    }

    pub(crate) fn distinct(&self) -> usize {
        self.distinct.len()
    }

    /// Hands on each disk, with the number of events before its moment and whether it is the first
    /// like it; ends at the first in which `examine` finds something wrong.
    pub(crate) fn examine<E>(
        &mut self,
        fs: &SimulatedFs,
        mut examine: impl FnMut(usize, Image, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        // xorshift64
        let mut random = || {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            self.state
        };
        for (number, moment) in fs.moments().iter().enumerate() {
            self.moments += 1;
            for disk in moment.disks(self.limit, &mut random) {
                self.disks += 1;
                let new = self.distinct.insert(disk.fingerprint(None).unwrap());
                examine(number, disk, new)?;
            }
        }
        Ok(())
    }
}

/// A moment between two events.
#[derive(Clone, Debug)]
struct Moment {
    certain: Image,
    pending: Vec<Change>,
}

impl SimulatedFs {
    /// How many events there were, so as to tell which moments are before and which after now.
    pub(crate) fn events(&self) -> usize {
        self.disk().log.len()
    }

    /// All moments, from before the first event to after the last.
    fn moments(&self) -> Vec<Moment> {
        let disk = self.disk();
        let mut moment = Moment { certain: disk.start.clone(), pending: Vec::new() };
        let mut moments = vec![moment.clone()];
        for event in &disk.log {
            match event {
                Event::New(content) => moment.certain.nodes.push(content.clone()),
                Event::Change(change) => moment.pending.push(change.clone()),
                Event::Sync(node) => {
                    let flushed = moment.pending.extract_if(.., |change| change.node() == *node);
                    flushed.for_each(|change| moment.certain.apply(&change));
                }
            }
            moments.push(moment.clone());
        }
        moments
    }
}

impl Moment {
    /// Some of the disks that a loss of power can leave: all, if they are not more than `limit`.
    /// Otherwise nothing, everything, the first few, everything but one, one alone, and for the rest
    /// drawn by `random`.
    fn disks(&self, limit: usize, random: &mut impl FnMut() -> u64) -> impl Iterator<Item = Image> {
        let count = self.pending.len();
        let choices: Vec<Vec<bool>> = if count < 40 && 1 << count <= limit {
            (0..1_usize << count)
                .map(|set| (0..count).map(|i| set >> i & 1 == 1).collect())
                .collect()
        } else {
            let chosen = |choose: &dyn Fn(usize) -> bool| (0..count).map(choose).collect();
            let mut choices: Vec<_> = (0..=count).map(|first| chosen(&|i| i < first)).collect();
            choices.extend((0..count).map(|one| chosen(&|i| i == one)));
            choices.extend((0..count).map(|one| chosen(&|i| i != one)));
            // One of `odds` is kept, or lost: few or many, not always half.
            choices.extend((choices.len()..limit).map(|number| {
                let odds = 2 + number as u64 / 2 % 6;
                (0..count)
                    .map(|_| random().is_multiple_of(odds) ^ number.is_multiple_of(2))
                    .collect()
            }));
            choices
        };
        choices.into_iter().map(|kept| {
            let mut disk = self.certain.clone();
            let changes = self.pending.iter().zip(kept).filter(|(_, kept)| *kept);
            changes.for_each(|(change, _)| disk.apply(change));
            disk
        })
    }
}
