//! What people look at: tables, pictures, plots.
