//! The program that the kernel runs for a UDP packet that no connected socket wants (`BPF_PROG_TYPE_SK_LOOKUP`): which of
//! our receiving sockets gets it, or whether it is dropped.
//!
//! In words: what is not IPv4 UDP for a port of our range that is open is not our business; what does not come from the
//! port's peer, or its host where that is all that is known, is dropped; the rest goes to the socket of the port's thread.

/// One instruction (`struct bpf_insn` of linux/bpf.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// What the program works with.
pub(super) struct Inputs {
    /// The array of [`super::table`].
    pub(super) ports_fd: i32,
    /// The sockets, by thread.
    pub(super) sockets_fd: i32,
    /// The first port of the range.
    pub(super) first_port: u16,
    /// How many ports it has.
    pub(super) ports: u32,
    /// Our address, as it stands in memory.
    pub(super) address: u32,
}

// Offsets in `struct bpf_sk_lookup` (linux/bpf.h).
const FAMILY: i16 = 8;
const PROTOCOL: i16 = 12;
const REMOTE_IP4: i16 = 16;
const REMOTE_PORT: i16 = 36;
const LOCAL_IP4: i16 = 40;
const LOCAL_PORT: i16 = 60;

// Offsets in an entry of the array.
const ENTRY_THREAD: i16 = 0;
const ENTRY_REMOTE_IP4: i16 = 4;
const ENTRY_REMOTE_PORT: i16 = 8;

// Helper functions of the kernel.
const MAP_LOOKUP_ELEM: i32 = 1;
const SK_RELEASE: i32 = 86;
const SK_ASSIGN: i32 = 124;

const PASS: i32 = 1;
const DROP: i32 = 0;

/// Where a jump goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    /// Leave the packet to whom it would belong without us.
    Pass,
    Drop,
    Assign,
}

/// The program as instructions.
pub(super) fn assemble(inputs: &Inputs) -> Vec<Instruction> {
    let mut code = Code::default();
    // r6: the context. All other values live between two calls only.
    code.push(MOVE, 6, 1, 0, 0);
    code.load(WORD, 2, 6, FAMILY);
    code.jump_unless_equal(2, libc::AF_INET, Label::Pass);
    code.load(WORD, 2, 6, PROTOCOL);
    code.jump_unless_equal(2, libc::IPPROTO_UDP, Label::Pass);
    code.load(WORD, 2, 6, LOCAL_IP4);
    code.push(MOVE_32_IMMEDIATE, 3, 0, 0, i32::from_ne_bytes(inputs.address.to_ne_bytes()));
    code.jump(JUMP_NOT_EQUAL, 2, 3, 0, Label::Pass);
    code.load(WORD, 2, 6, LOCAL_PORT);
    code.push(SUBTRACT_32_IMMEDIATE, 2, 0, 0, i32::from(inputs.first_port));
    code.jump(JUMP_GREATER_OR_EQUAL_IMMEDIATE, 2, 0, i32::try_from(inputs.ports).unwrap_or(0), Label::Pass);
    // r7: the port's entry.
    code.look_up(inputs.ports_fd, 2);
    code.jump(JUMP_EQUAL_IMMEDIATE, 0, 0, 0, Label::Pass);
    code.push(MOVE, 7, 0, 0, 0);
    code.load(WORD, 2, 7, ENTRY_THREAD);
    code.jump(JUMP_EQUAL_IMMEDIATE, 2, 0, 0, Label::Pass);
    code.load(WORD, 4, 7, ENTRY_REMOTE_IP4);
    code.jump(JUMP_EQUAL_IMMEDIATE, 4, 0, 0, Label::Assign);
    code.load(WORD, 3, 6, REMOTE_IP4);
    code.jump(JUMP_NOT_EQUAL, 3, 4, 0, Label::Drop);
    code.load(WORD, 4, 7, ENTRY_REMOTE_PORT);
    code.jump(JUMP_EQUAL_IMMEDIATE, 4, 0, 0, Label::Assign);
    code.load(HALF, 3, 6, REMOTE_PORT);
    code.jump(JUMP_NOT_EQUAL, 3, 4, 0, Label::Drop);
    code.mark(Label::Assign);
    code.push(SUBTRACT_32_IMMEDIATE, 2, 0, 0, 1);
    // r7: the socket, which is given back whatever comes of it.
    code.look_up(inputs.sockets_fd, 2);
    code.jump(JUMP_EQUAL_IMMEDIATE, 0, 0, 0, Label::Drop);
    code.push(MOVE, 7, 0, 0, 0);
    code.push(MOVE, 1, 6, 0, 0);
    code.push(MOVE, 2, 7, 0, 0);
    code.push(MOVE_IMMEDIATE, 3, 0, 0, 0);
    code.push(CALL, 0, 0, 0, SK_ASSIGN);
    code.push(MOVE, 1, 7, 0, 0);
    code.push(CALL, 0, 0, 0, SK_RELEASE);
    code.mark(Label::Pass);
    code.give(PASS);
    code.mark(Label::Drop);
    code.give(DROP);
    code.finish()
}

// Operations (linux/bpf.h and linux/bpf_common.h): class, width or operator, source.
const MOVE: u8 = 0xbf;
const MOVE_IMMEDIATE: u8 = 0xb7;
const MOVE_32_IMMEDIATE: u8 = 0xb4;
const ADD_IMMEDIATE: u8 = 0x07;
const SUBTRACT_32_IMMEDIATE: u8 = 0x14;
const WORD: u8 = 0x61;
const HALF: u8 = 0x69;
const STORE_WORD: u8 = 0x63;
const LOAD_MAP: u8 = 0x18;
const JUMP_EQUAL_IMMEDIATE: u8 = 0x15;
const JUMP_GREATER_OR_EQUAL_IMMEDIATE: u8 = 0x35;
const JUMP_NOT_EQUAL_IMMEDIATE: u8 = 0x55;
const JUMP_NOT_EQUAL: u8 = 0x5d;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// The source register that says: the immediate is the descriptor of a map.
const MAP_FD: u8 = 1;
/// The register that points behind the stack.
const STACK: u8 = 10;
/// Where the key of a look-up lies on it.
const KEY: i16 = -4;

/// Instructions whose jumps are not resolved yet.
#[derive(Default)]
struct Code {
    instructions: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
    labels: Vec<(Label, usize)>,
}

impl Code {
    fn push(&mut self, code: u8, destination: u8, source: u8, offset: i16, immediate: i32) {
        self.instructions.push(Instruction { code, registers: source << 4 | destination, offset, immediate });
    }

    fn load(&mut self, width: u8, destination: u8, from: u8, offset: i16) {
        self.push(width, destination, from, offset, 0);
    }

    fn jump(&mut self, code: u8, left: u8, right: u8, immediate: i32, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(code, left, right, 0, immediate);
    }

    fn jump_unless_equal(&mut self, register: u8, immediate: i32, to: Label) {
        self.jump(JUMP_NOT_EQUAL_IMMEDIATE, register, 0, immediate, to);
    }

    fn mark(&mut self, label: Label) {
        self.labels.push((label, self.instructions.len()));
    }

    /// r0: what the map has under the number in this register, or null.
    fn look_up(&mut self, map_fd: i32, key: u8) {
        self.push(STORE_WORD, STACK, key, KEY, 0);
        self.push(LOAD_MAP, 1, MAP_FD, 0, map_fd);
        self.push(0, 0, 0, 0, 0);
        self.push(MOVE, 2, STACK, 0, 0);
        self.push(ADD_IMMEDIATE, 2, 0, 0, i32::from(KEY));
        self.push(CALL, 0, 0, 0, MAP_LOOKUP_ELEM);
    }

    fn give(&mut self, verdict: i32) {
        self.push(MOVE_IMMEDIATE, 0, 0, 0, verdict);
        self.push(EXIT, 0, 0, 0, 0);
    }

    /// A jump counts from the instruction behind it.
    fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let to = self.labels.iter().find(|(of, _)| *of == label).map_or(at, |(_, to)| *to);
            let offset = i16::try_from(to.saturating_sub(at + 1)).unwrap_or(0);
            self.instructions.get_mut(at).into_iter().for_each(|jump| jump.offset = offset);
        }
        self.instructions
    }
}
