//! The laws against crowds, crashes and real data.
