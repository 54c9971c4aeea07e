//! Pre-walk and decode of blocks, per reading, at 1 and 48 readings per message.

fn main() {
    divan::main();
}
