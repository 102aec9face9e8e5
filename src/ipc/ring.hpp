// The ring's algorithm over memory that is already mapped: one sender, one receiver, no system
// call.
//
// The peer is hostile. It may rewrite every word that it owns at any time, so each shared word is
// loaded once into a private copy, judged there, and used from there. What breaks a rule breaks the
// channel (Broken, with the rule's name), never the process.
//
// Order of a send: payload and header without the first word; 0 into the first word of the slot
// behind, unless it is there already; then the first word, with release. So what follows the last
// published record is always 0, a sender may die between any two instructions, and its successor
// finds the end by walking from the tail.
//
// A lossy ring (ring_lossy.cpp) never makes its sender wait: it overwrites the oldest records and
// says first, in `oldest`, from where on they are whole. Its receiver copies, looks at `oldest`
// again, and counts what it missed by the records' numbers.
#pragma once

#include "ipc/ring_receiver.hpp"
#include "ipc/ring_sender.hpp"
