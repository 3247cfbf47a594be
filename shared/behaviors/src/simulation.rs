//! A simulated fleet, and how well the ML behaviors find what is wrong in it.
//!
//! The fleet is made of distributions that the model does not know, from a seed that is named; which devices are
//! anomalous is known to the judge only. Some devices also misbehave for an hour while the model is trained, as
//! they do in life.

mod device;
mod quality;

pub use device::{Anomaly, SimulatedFleet, Workload};
pub use quality::{Quality, SEEDS, Score, measure};
