//! The programme, told as stories.
