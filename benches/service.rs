//! The service itself: what the network costs at difficulty 0, and what is left of the kernel's hash rate
//! at hard difficulties.

mod support;

fn main() {}
