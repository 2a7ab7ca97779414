//! What a connection sends, as seen at its socket: which sends are new records, and whether each send is one.
//!
//! A library that writes to its own socket BIO sends each record as it makes it, while the caller's bytes are untouched. Its
//! sequence number tells new records from the rest of one and from one that is sent again. Several records at once are the
//! parts of one write that the library encrypts together, or a hole.

use tracer_ebpf::{
    AddressSource, ConnectionState, Cookie, Direction, Flow, HooksRefused, Lift, LiftState, MAX_FRAME_WORDS,
    MAX_STRAYS, Owner, RECORD_BYTES, Role, SettingFlags, SiteConfig, SiteOperands,
};

use crate::{
    early_data, flow, hooks,
    identity::{
        binding, descriptor,
        socket::{family, is_internet},
    },
    maps::{FRAMES, SITES, settings},
    memory::{read_field, read_user},
    operands::{self, UNREADABLE, of_site},
    target,
    task::user_stack_pointer,
};

/// No reason to refuse the lift.
const SERVES: HooksRefused = HooksRefused(0);

/// Starts the lift of a connection whose socket has become known, if its library has one. Returns 1 if records were sent
/// before, or will be sent, that nothing captures: the latter if the lift is refused and the calls are not probed.
#[inline(never)]
pub(crate) fn begin(connection: &mut ConnectionState, object: u64) -> u32 {
    let Some(config) = SITES.get(flow::cookie(&connection.flow).site()) else {
        return 0;
    };
    if config.lift == SiteConfig::UNKNOWN {
        return 0;
    }
    match bind(connection, object, config.lift) {
        Ok(is_behind) => is_behind.into(),
        Err(cause) => {
            let has_no_owner = hooks::owner(&connection.hooks, Direction::WRITE) == Owner::NONE;
            let is_unseen = (has_no_owner || cause == HooksRefused::EARLY_DATA) && !has_calls(&connection.flow);
            hooks::refuse(&mut connection.hooks, &connection.flow, object, Direction::WRITE, cause);
            is_unseen.into()
        }
    }
}

/// Returns whether the calls of the current process that write are probed.
#[inline(always)]
fn has_calls(flow: &Flow) -> bool {
    target::current_flags().is_some_and(|flags| hooks::has_calls(flow, Direction::WRITE, flags))
}

/// Notes the sequence of a connection and makes its socket lead to its lift. Returns whether application data was sent that
/// was not captured: since the last send that was seen, or since the object was cleared.
#[inline(always)]
fn bind(connection: &mut ConnectionState, object: u64, site: u16) -> Result<bool, HooksRefused> {
    if early_data::writes_early(&connection.flow) {
        // The call that writes early data has refused the lift, and has then begun this connection.
        return Err(HooksRefused::EARLY_DATA);
    }
    let identity = &connection.identity;
    if identity.source.0 == AddressSource::CUSTOM_BIO.0 || identity.source.0 == AddressSource::CIPHERTEXT.0 {
        return Err(HooksRefused::WRITE_BIO);
    }
    if identity.sock == 0 || identity.source.0 != AddressSource::BIO.0 {
        return Err(HooksRefused::NO_SOCKET);
    }
    if !is_internet(family(identity.sock)) && !settings().contains(SettingFlags::ALL_SENDS) {
        return Err(HooksRefused::NO_SOCKET);
    }
    let operands = of_site(Cookie::new(site.into(), Role::Write)).ok_or(HooksRefused::IMPLAUSIBLE)?;
    binding::set_lift(identity.sock, site);
    let lift = &mut connection.lift;
    lift.windowed = 0;
    lift.slot = 0;
    let sequence = operands::sequence(lift, object, operands);
    if sequence == UNREADABLE {
        return Err(HooksRefused::IMPLAUSIBLE);
    }
    let held = operands::hold_behind(lift, object, operands);
    let was_seen = lift.state != LiftState::UNBOUND;
    lift.state = LiftState::BOUND;
    let is_ahead = advance(lift, sequence, held) != 0;
    Ok(is_ahead && (was_seen || held != 0 && flow::is_cleared(&connection.flow)))
}

/// Notes the sequence at a send and whether its guards hold; returns how many records are new.
///
/// New keys restart the sequence at 0. It may reach the same number under the new keys: then the guards differ, because a
/// record of the handshake is sent in between.
#[inline(always)]
pub(crate) fn advance(lift: &mut Lift, sequence: u64, held: u32) -> u64 {
    if sequence == lift.sequence && held as u8 == lift.held {
        return 0;
    }
    let before = lift.sequence;
    lift.sequence = sequence;
    lift.held = held as u8;
    if sequence > before { sequence - before } else { sequence }
}

/// Returns whether `records` new records are more than `bytes` need, so that some of them were not seen.
///
/// With stitched ciphers OpenSSL encrypts four or eight records at once (`ssl3_write_bytes`, `openssl-3.0.8`), all of the
/// same size, which an application or its peer may have set below the maximum.
#[inline(always)]
pub(crate) fn is_hole(records: u64, bytes: u64) -> bool {
    if records <= bytes.div_ceil(RECORD_BYTES) {
        return false;
    }
    let at_once = records == 4 && bytes & 3 == 0 || records == 8 && bytes & 7 == 0;
    !at_once
}

/// Returns 1 if there are records between the last one and one that is not of the program: what a handshake sends goes
/// through a buffer, several records at once.
#[inline(always)]
pub(crate) fn is_hole_of_others(connection: &ConnectionState, object: u64, sock: u64, records: u64) -> u32 {
    let may_be = records > 1 && connection.lift.state == LiftState::PROVEN;
    (may_be && examine(connection, object, sock) == SERVES).into()
}

/// Counts new records in a row for which no frame of the lift was found, of sends that the lift would capture. Returns 1 at
/// [`MAX_STRAYS`]: the frame may lie outside the part of the stack that is searched.
#[inline(never)]
pub(crate) fn has_strayed(connection: &mut ConnectionState, object: u64, sock: u64, site: &SiteOperands) -> u32 {
    if !operands::has_frame(site) {
        return 0;
    }
    if connection.lift.slot != 0 {
        connection.lift.strays = 0;
        return 0;
    }
    if examine(connection, object, sock) != SERVES {
        return 0;
    }
    connection.lift.strays += 1;
    (connection.lift.strays == MAX_STRAYS).into()
}

/// Returns why a send of the connection may be no single record; 0 if each send is one, or the question is settled.
#[inline(always)]
pub(crate) fn prove(connection: &mut ConnectionState, object: u64, sock: u64) -> HooksRefused {
    if connection.lift.state == LiftState::PROVEN || hooks::is_refused(&connection.hooks, Direction::WRITE) {
        return SERVES;
    }
    let cause = examine(connection, object, sock);
    if cause == SERVES {
        connection.lift.state = LiftState::PROVEN;
    }
    cause
}

/// Checks that the connection writes to the library's own BIO for this socket, and that the socket does not use kernel TLS.
/// Returns the reason if not.
#[inline(never)]
fn examine(connection: &ConnectionState, object: u64, sock: u64) -> HooksRefused {
    if uses_kernel_tls(sock) {
        return HooksRefused::KERNEL_TLS;
    }
    let Some(config) = SITES.get(flow::cookie(&connection.flow).site()) else {
        return HooksRefused::WRITE_BIO;
    };
    let fd = descriptor::of_bio(object, config, config.wbio);
    if fd < 0 || descriptor::sock_of(fd as u32) != sock {
        return HooksRefused::WRITE_BIO;
    }
    SERVES
}

/// Returns why no send of the connection's socket will lead to it; 0 if each will. It may write to another socket than it
/// reads from, or by kernel TLS, which before Linux 6.3 passes by where the lift is. Must be called after the handshake, which
/// puts a buffering BIO before the write BIO, and sets kernel TLS up.
#[inline(never)]
pub(crate) fn compare(connection: &mut ConnectionState, object: u64) -> HooksRefused {
    connection.lift.compared = 1;
    let sock = connection.identity.sock;
    if uses_kernel_tls(sock) {
        return HooksRefused::KERNEL_TLS;
    }
    let Some(config) = SITES.get(flow::cookie(&connection.flow).site()) else {
        return SERVES;
    };
    let fd = descriptor::of_bio(object, config, config.wbio);
    if fd >= 0 && descriptor::sock_of(fd as u32) != sock {
        return HooksRefused::NO_SOCKET;
    }
    SERVES
}

/// Returns whether something is between a socket and TCP.
#[inline(always)]
fn uses_kernel_tls(sock: u64) -> bool {
    if !is_internet(family(sock)) {
        return false;
    }
    let upper: Option<u64> = read_field(sock, |offsets| &raw const offsets.icsk_ulp);
    upper != Some(0)
}

/// Reads the window of a connection at a send, and finds the frame that holds what it sends; returns the sequence.
#[inline(never)]
pub(crate) fn read(lift: &mut Lift, object: u64, cookie: Cookie, site: &SiteOperands) -> u64 {
    operands::read_lift_window(lift, object, site);
    let sequence = operands::sequence(lift, object, site);
    if operands::has_frame(site) {
        let may_be_new = sequence != lift.sequence || lift.held == 0;
        lift.slot = find_slot(lift.code, cookie.site(), may_be_new);
    }
    sequence
}

/// Finds the stack slot with the return address of the call at the site of a lift; 0 if another call is sending. Tries the
/// slot of the last send first, and searches the stack only if the connection may be sending something new.
#[inline(always)]
fn find_slot(code: u64, site: u32, may_be_new: bool) -> u64 {
    let (Some(sp), Some(frame)) = (user_stack_pointer(), FRAMES.get_ptr_mut(site)) else {
        return 0;
    };
    if code == 0 {
        return 0;
    }
    // SAFETY: other CPUs may write the word now; what is read is compared below.
    let slot = sp.wrapping_add(unsafe { *frame });
    if read_user(slot) == Some(code) {
        return slot;
    }
    if !may_be_new {
        return 0;
    }
    let slot = search(sp, code);
    if slot != 0 {
        // SAFETY: as above; whoever reads it compares what is there.
        unsafe { *frame = slot - sp };
    }
    slot
}

/// Searches the stack for a return address; returns its slot, or 0.
///
/// A global function, and so verified once and by itself: the verifier would walk the rest of its caller anew for each place
/// where the loop can end.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn search(sp: u64, address: u64) -> u64 {
    for word in 0..MAX_FRAME_WORDS {
        let slot = sp.wrapping_add(word * size_of::<u64>() as u64);
        match read_user::<u64>(slot) {
            Some(value) if value == address => return slot,
            Some(_) => {}
            None => return 0,
        }
    }
    0
}

/// Resets the state for another connection of the same object. The address of the library's code stays valid.
#[inline(always)]
pub(crate) fn reset(lift: &mut Lift) {
    let code = lift.code;
    *lift = Lift::NEW;
    lift.code = code;
}
