//! What screens are made of: values as text and as markup, rows and tables, charts. No part knows a screen, nor who looks at it.

pub mod charts;
pub mod events;
pub mod format;
pub mod html;
pub mod json_tree;
pub mod kinds_table;
pub mod log_lines;
pub mod run_row;
pub mod run_status;
pub mod schedule_row;
pub mod timeline;
pub mod workers_table;
