//! What tests and fuzz targets look at and no embedder needs: the rooms of the core by their names.
//! It is no part of the interface, and may be another one tomorrow.

macro_rules! rooms {
    ($($room:ident)+) => {
        $(
            #[allow(missing_docs)]
            pub mod $room {
                pub use crate::$room::*;
            }
        )+
    };
}

rooms! {
    base64 bulk command exec frame handle json lines list mark mountinfo request response shutdown state
}
