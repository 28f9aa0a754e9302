//! Who is calling: tokens, client certificates, key sets; makes a Principal.
