/**
 * The jail's filter of system calls: what a cage never needs, refused by the kernel of the host.
 *
 * Namespaces do not cover all: some sockets reach the machine's host from every network namespace,
 * keys are inherited, and a namespace of one's own would give powers back. A cage has threads, and
 * no other process; so whatever starts one is refused too. A confined program may start others and
 * open sockets of the internet, which lead nowhere without a network; the sockets of the machine
 * and of its host it may not, nor put words into a terminal.
 * @module
 */

/** What a filter needs to know of a machine. */
interface Machine {
  readonly audit: number;
  readonly clone: number;
  readonly refused: readonly number[];
  /** Those of the refused that an ordinary program makes: fork, vfork, fifos, pidfds. */
  readonly ordinary: readonly number[];
  /** chdir, fchdir. */
  readonly leaves: readonly number[];
  readonly socket: number;
  readonly ioctl: number;
}

/** Numbers from 424 on are the same on all machines. */
const REFUSED_EVERYWHERE: readonly number[] = [
  425, // io_uring_setup
  426, // io_uring_enter
  427, // io_uring_register
  428, // open_tree
  429, // move_mount
  430, // fsopen
  431, // fsconfig
  432, // fsmount
  433, // fspick
  434, // pidfd_open
  438, // pidfd_getfd
  440, // process_madvise
  442, // mount_setattr
  443, // quotactl_fd
];
const CLONE3 = 435;

// In this order: socket, ptrace, process_vm_readv, process_vm_writev, kcmp; add_key, request_key,
// keyctl; unshare, setns, chroot, pivot_root, mount, umount2, mknodat; name_to_handle_at,
// open_by_handle_at; bpf, perf_event_open, userfaultfd, vmsplice; init_module, finit_module,
// delete_module, kexec_load, kexec_file_load, reboot, swapon, swapoff, acct, quotactl, syslog,
// settimeofday; migrate_pages, move_pages.
const MACHINES: Readonly<Record<string, Machine>> = {
  x86_64: {
    audit: 0xc000003e,
    clone: 56,
    // deno-fmt-ignore
    refused: [
      41, 101, 310, 311, 312, 248, 249, 250, 272, 308, 161, 155, 165, 166, 259, 303, 304, 321, 298,
      323, 278, 175, 313, 176, 246, 320, 169, 167, 168, 163, 179, 103, 164, 256, 279,
      // Only here: fork, vfork, mknod, modify_ldt, iopl, ioperm.
      57, 58, 133, 154, 172, 173,
    ],
    ordinary: [57, 58, 133, 259, 434],
    leaves: [80, 81],
    socket: 41,
    ioctl: 16,
  },
  aarch64: {
    audit: 0xc00000b7,
    clone: 220,
    // deno-fmt-ignore
    refused: [
      198, 117, 270, 271, 272, 217, 218, 219, 97, 268, 51, 41, 40, 39, 33, 264, 265, 280, 241, 282,
      75, 105, 273, 106, 104, 294, 142, 224, 225, 89, 60, 116, 170, 238, 239,
    ],
    ordinary: [33, 434],
    leaves: [49, 50],
    socket: 198,
    ioctl: 29,
  },
};

/** Where the kernel shows a call to its filter: its number, the machine, the first argument. */
const AT_NUMBER = 0;
const AT_MACHINE = 4;
const AT_FIRST = 16;
const AT_SECOND = 24;
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_FROM = 0x35;
const JUMP_SET = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const REFUSE = 0x00050000 | 1; // EPERM
const UNKNOWN = 0x00050000 | 38; // ENOSYS: the C library then takes `clone`
const WRONG_FAMILY = 0x00050000 | 97; // EAFNOSUPPORT
const CLONE_THREAD = 0x00010000;
/** Any namespace of one's own: mount, cgroup, uts, ipc, user, pid, net. */
const CLONE_NEW = 0x7e020000;
const UNIX_FAMILY = 1;
/** IPv4, IPv6, and questions to the system about its network. */
const FAMILIES: readonly number[] = [2, 10, 16];
/** TIOCSTI and TIOCLINUX: words that somebody seems to have typed. */
const TYPING: readonly number[] = [0x5412, 0x541c];
/** Where the numbers of another way to call begin on x86_64; elsewhere none are so large. */
const OTHER_WAY = 0x40000000;

type Step = readonly [code: number, isTrue: number, isFalse: number, value: number];

/** The filter for a machine, as the kernel reads it; null for one that nobody knows. */
export function jailFilter(arch: string): Uint8Array<ArrayBuffer> | null {
  const machine = MACHINES[arch];
  if (machine === undefined) return null;
  const { audit, clone } = machine;
  const refused = [...machine.refused, ...REFUSED_EVERYWHERE];
  const checks = refused.map((number, i): Step => {
    // Over the rest of these, the four steps about clones and the return after them.
    return [JUMP_EQUAL, refused.length - 1 - i + 5, 0, number];
  });
  return encoded([
    [LOAD, 0, 0, AT_MACHINE],
    [JUMP_EQUAL, 1, 0, audit],
    [RETURN, 0, 0, KILL],
    [LOAD, 0, 0, AT_NUMBER],
    [JUMP_FROM, refused.length + 5, 0, OTHER_WAY],
    ...checks,
    [JUMP_EQUAL, 5, 0, CLONE3],
    [JUMP_EQUAL, 0, 2, clone],
    [LOAD, 0, 0, AT_FIRST],
    [JUMP_SET, 0, 1, CLONE_THREAD],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, REFUSE],
    [RETURN, 0, 0, UNKNOWN],
  ]);
}

/**
 * The filter for a program that may start others; null for a machine that nobody knows. One that
 * asks about each act has a socket to ask through, and stays in its working directory.
 */
export function confineFilter(arch: string, asks: boolean): Uint8Array<ArrayBuffer> | null {
  const machine = MACHINES[arch];
  if (machine === undefined) return null;
  const { audit, clone, socket, ioctl, ordinary } = machine;
  const refused = [...machine.refused, ...REFUSED_EVERYWHERE, ...(asks ? machine.leaves : [])]
    .filter((number) => number !== socket && !ordinary.includes(number));
  // Each block knows how long it is, so that the one before it can step over it.
  const families = asks ? [UNIX_FAMILY, ...FAMILIES] : FAMILIES;
  const sockets: readonly Step[] = [
    [JUMP_EQUAL, 0, families.length + 3, socket],
    [LOAD, 0, 0, AT_FIRST],
    ...families.map((family, i): Step => [JUMP_EQUAL, families.length - i, 0, family]),
    [RETURN, 0, 0, WRONG_FAMILY],
    [RETURN, 0, 0, ALLOW],
  ];
  const typing: readonly Step[] = [
    [JUMP_EQUAL, 0, 5, ioctl],
    [LOAD, 0, 0, AT_SECOND],
    [JUMP_EQUAL, 1, 0, TYPING[0]!],
    [JUMP_EQUAL, 0, 1, TYPING[1]!],
    [RETURN, 0, 0, REFUSE],
    [RETURN, 0, 0, ALLOW],
  ];
  const clones: readonly Step[] = [
    [JUMP_EQUAL, 0, 3, clone],
    [LOAD, 0, 0, AT_FIRST],
    [JUMP_SET, 0, 1, CLONE_NEW],
    [RETURN, 0, 0, REFUSE],
    [RETURN, 0, 0, ALLOW],
  ];
  return encoded([
    [LOAD, 0, 0, AT_MACHINE],
    [JUMP_EQUAL, 1, 0, audit],
    [RETURN, 0, 0, KILL],
    [LOAD, 0, 0, AT_NUMBER],
    [JUMP_FROM, 0, 1, OTHER_WAY],
    [RETURN, 0, 0, REFUSE],
    ...refused.flatMap((number): Step[] => [
      [JUMP_EQUAL, 0, 1, number],
      [RETURN, 0, 0, REFUSE],
    ]),
    [JUMP_EQUAL, 0, 1, CLONE3],
    [RETURN, 0, 0, UNKNOWN],
    ...sockets,
    ...typing,
    ...clones,
  ]);
}

function encoded(steps: readonly Step[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(steps.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, [code, isTrue, isFalse, value]] of steps.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, isTrue);
    view.setUint8(i * 8 + 3, isFalse);
    view.setUint32(i * 8 + 4, value, true);
  }
  return bytes;
}
