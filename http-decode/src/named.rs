//! Enums whose variants have a name in lines of output.

/// Defines an enum with the names of its variants, and the list of all of them.
///
/// All three come from one table, so none of them can lack a variant. A test compares the lists with the JSON Schema of
/// the lines.
#[doc(hidden)]
#[macro_export]
macro_rules! named_enum {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $($(#[$about:meta])* $variant:ident => $text:literal,)+
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $($(#[$about])* $variant,)+
        }

        impl $name {
            /// Lists every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name in lines of output.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}
