//! Enums whose values have a name in plan files.

/// Gives an enum its table of names, which the reader and the schema share.
macro_rules! named {
    ($type:ident { $($name:literal => $variant:ident,)* }) => {
        impl $type {
            /// Every value with the name plans use.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($name, Self::$variant),)*];

            /// The name plans use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

pub(crate) use named;
