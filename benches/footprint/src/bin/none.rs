//! A program without any loss.

fn main() {
    println!("{}", std::env::args().count());
}
