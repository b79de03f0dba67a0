//! What the suites share. [`cases`] is the table of losses: a loss with an entry there is put
//! through every suite.
#![allow(dead_code)] // Each suite is a program of its own and uses its own part of this.

pub mod alone;
pub mod call;
pub mod cases;
pub mod contract;
pub mod ctc;
pub mod ctc_forms;
pub mod layouts;
pub mod levels;
pub mod pairs;
pub mod random;
pub mod real;
