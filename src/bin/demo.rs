//! The whole story of keepnet on MNIST in one command; `keepnet::demo` tells it.

use std::process::ExitCode;

fn main() -> ExitCode {
    keepnet::demo::main()
}
