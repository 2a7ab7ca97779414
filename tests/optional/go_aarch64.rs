//! Programs of Go for aarch64: where their hooks are. `scripts/test-aarch64` traces such programs in an emulator.

use std::{collections::BTreeMap, env, fs};

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSymbol as _};
use support::go::{Version, tiny};
use symbolizer::{Hook, HookKind, ProbePlan, Role};

/// Options of a build with symbols, and those that leave them out beside the same.
const PLAIN: &[&str] = &[];
const PIE: &[&str] = &["-buildmode=pie"];
const NOT_INLINED: &[&str] = &["-gcflags=all=-l"];
const STRIPPED: &str = "-ldflags=-s -w";

/// `ret`.
const RETURN: u32 = 0xd65f_03c0;
/// The condition `hi` of aarch64: there is room on the stack.
const HIGHER: u8 = 8;

/// A program, and what is planned for it.
struct Program {
    image: Vec<u8>,
    plan: ProbePlan,
}

impl Program {
    fn build(version: Version, options: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let image = fs::read(tiny(version, "arm64", options, folder.path())?)?;
        let mut plans = symbolizer::plan(&image, None)?;
        let plan = plans.plans.pop().with_context(|| format!("{:?}", plans.reasons))?;
        assert!(plans.plans.is_empty() && plans.reasons.is_empty());
        Ok(Self { image, plan })
    }

    /// Returns the functions by their addresses, with their names.
    fn functions(&self) -> Result<BTreeMap<u64, String>> {
        let file = object::File::parse(&*self.image)?;
        let named = file.symbols().filter_map(|symbol| {
            let name = symbol.name().ok()?;
            (symbol.kind() == object::SymbolKind::Text).then(|| (symbol.address(), name.to_owned()))
        });
        Ok(named.collect())
    }

    /// Returns the instruction at a place in the file.
    fn word(&self, offset: u64) -> Result<u32> {
        let bytes = self.image.get(usize::try_from(offset)?..);
        let word = bytes.and_then(|bytes| bytes.first_chunk());
        Ok(u32::from_le_bytes(*word.context("the place is behind the file")?))
    }

    /// Returns where the returns of a function are.
    fn returns(&self, of: &Hook) -> Result<Vec<u64>> {
        let mut returns = Vec::new();
        for distance in (0..of.size).step_by(4) {
            if self.word(of.offset.0 + distance)? == RETURN {
                returns.push(of.address.0 + distance);
            }
        }
        Ok(returns)
    }

    /// Returns where the call leads that a tap is at.
    fn called(&self, tap: &Hook) -> Result<u64> {
        let word = self.word(tap.site.offset.0)?;
        assert_eq!(word >> 26, 0b10_0101, "bl");
        let distance = i64::from((word << 6).cast_signed() >> 6) * 4;
        Ok(tap.site.address.0.wrapping_add_signed(distance))
    }

    /// Asserts that each hook is at an instruction of the function that has its name.
    fn assert_right(&self, name: &str) -> Result<()> {
        let functions = self.functions()?;
        let named = |address| functions.get(&address).map(String::as_str);
        for hook in &self.plan.hooks {
            let method = format!("crypto/tls.{}", hook.name);
            let function = named(hook.address.0).context("no function begins there")?;
            assert!(
                [method.clone(), format!("{method}-fm")].contains(&function.to_owned()),
                "{name}: {function}"
            );
            if hook.kind == HookKind::Tap {
                let expected = if hook.role == Role::Read {
                    "runtime.memmove"
                } else {
                    "crypto/tls.(*Conn).writeRecordLocked"
                };
                assert_eq!(named(self.called(hook)?), Some(expected), "{name}");
                continue;
            }
            assert_eq!(
                self.word(hook.site.offset.0)? & 0xff00_001f,
                0x5400_0009,
                "{name}: b.ls"
            );
            if let Some(exits) = &hook.exits {
                let sites: Vec<_> = exits.sites.iter().map(|exit| exit.site.address.0).collect();
                assert_eq!(sites, self.returns(hook)?, "{name}");
                assert_eq!(exits.entry_when, Some(HIGHER), "{name}");
            }
        }
        Ok(())
    }

    fn kinds(&self, role: Role) -> Vec<HookKind> {
        let of_role = self.plan.hooks.iter().filter(|hook| hook.role == role);
        of_role.map(|hook| hook.kind).collect()
    }
}

/// Asserts that the hooks of a build are right by its symbols, and the same without these.
fn assert_both(version: Version, options: &[&str]) -> Result<Program> {
    let name = format!("{version:?} {options:?}");
    let named = Program::build(version, options)?;
    named.assert_right(&name)?;
    let stripped = Program::build(version, &[options, &[STRIPPED]].concat())?;
    assert!(object::File::parse(&*stripped.image)?.symbols().next().is_none());
    assert_eq!(stripped.plan.hooks, named.plan.hooks, "{name}");
    assert_eq!(stripped.plan.refused, named.plan.refused, "{name}");
    assert_eq!(stripped.plan.facts, named.plan.facts, "{name}");
    assert_eq!(stripped.plan.net_conn, named.plan.net_conn, "{name}");
    assert!(
        named.plan.net_conn.is_some() && named.plan.facts.alpn.is_some(),
        "{name}"
    );
    Ok(named)
}

/// Set to check every version, and position-independent programs. Each of them compiles much of Go's library anew, on a fresh
/// machine for half a minute.
const EVERY: &str = "TLSCOPE_EVERY_GO";

pub(crate) fn hooks() -> Result<()> {
    use HookKind::{Exit, Tap};
    let every = env::var_os(EVERY).is_some();
    let ends = [Version::Go1_19, Version::Go1_27];
    let versions = if every { &Version::ALL[..] } else { &ends };
    for version in versions {
        let program = assert_both(*version, PLAIN)?;
        assert_eq!(program.kinds(Role::Read), [Tap, Exit], "{version:?}");
        assert_eq!(program.kinds(Role::Write), [Tap, Tap, Exit], "{version:?}");
    }
    for version in if every { &ends[..] } else { &ends[1..] } {
        // Other functions take the buffer along.
        let program = assert_both(*version, NOT_INLINED)?;
        assert_eq!(program.kinds(Role::Read), [Exit], "{version:?}");
        assert!(program.kinds(Role::Write).contains(&Exit), "{version:?}");
        if every {
            let program = assert_both(*version, PIE)?;
            assert_eq!(program.kinds(Role::Read), [Tap, Exit], "{version:?}");
        }
    }
    Ok(())
}

pub(crate) fn hooks_of_old_go() -> Result<()> {
    let program = assert_both(Version::Go1_15, PLAIN)?;
    assert_eq!(program.kinds(Role::Read), [HookKind::Tap, HookKind::Exit]);
    assert_eq!(program.kinds(Role::Write), [HookKind::Exit]);
    Ok(())
}

/// Whatever instruction of a function is not understood, nothing in the function is probed.
pub(crate) fn damaged() -> Result<()> {
    let Program { image, plan } = Program::build(Version::Go1_27, PLAIN)?;
    let write = plan.hooks.iter().find(|hook| hook.role == Role::Write);
    let write = write.context("no write is hooked")?;
    // Behind the entry, in the middle, and at the call of a tap.
    for offset in [
        write.offset.0 + 20,
        write.offset.0 + 4 * (write.size / 8),
        write.site.offset.0,
    ] {
        let mut image = image.clone();
        let at = usize::try_from(offset)?;
        // svc #0
        let word = image.get_mut(at..at + 4).context("the function is behind the file")?;
        word.copy_from_slice(&0xd400_0001_u32.to_le_bytes());
        let plans = symbolizer::plan(&image, None)?;
        assert!(plans.plans.is_empty(), "{offset:#x}");
        let reasons: Vec<_> = plans.reasons.iter().map(ToString::to_string).collect();
        let reason = "neither a tap nor exits are proven for Write of Go's crypto/tls";
        assert!(reasons.iter().any(|text| text.contains(reason)), "{reasons:?}");
    }
    Ok(())
}
