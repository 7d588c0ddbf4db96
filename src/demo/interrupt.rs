//! Ctrl-C and SIGTERM: the first asks training to stop, the second leaves at once.

use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

/// 128 + SIGINT, as shells report a program that was interrupted.
pub(crate) const EXIT_STATUS: u8 = 130;

/// Whether somebody looks at [`REQUESTED`], so that asking is of use.
static HEEDED: AtomicBool = AtomicBool::new(false);
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From here on the first signal only asks.
pub(crate) fn heed() -> Result<(), ctrlc::Error> {
    HEEDED.store(true, Ordering::SeqCst);
    ctrlc::set_handler(|| {
        if !HEEDED.load(Ordering::SeqCst) || REQUESTED.swap(true, Ordering::SeqCst) {
            exit(EXIT_STATUS.into()); // saving is atomic: leaving harms no model
        }
    })
}

/// From here on the first signal leaves at once. Gives whether there was one before.
pub(crate) fn stop_heeding() -> bool {
    HEEDED.store(false, Ordering::SeqCst);
    requested()
}

/// Whether training was asked to stop.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
