/* How the two ends of a ring put themselves to sleep and wake each other (docs/ring-format.md,
 * "Sleeping"), over a machine with store buffers. README.md says what is modelled and what is not;
 * check.py builds it with the switches below and knows which settings must fail.
 *
 * Every store to shared memory goes through its side's FIFO buffer (TSO), so a load may overtake an
 * earlier store of the same side unless a fence (here: "my buffer is empty") stands between. A
 * message is a number; message n is in the ring when `head` > n. Bells are edge-triggered: a ring
 * is remembered once, and heard once.
 */

/* --- the size of the world --- */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef CAPACITY
#define CAPACITY 2 /* messages in the ring */
#endif
#ifndef STEP
#define STEP 2 /* the receiver looks for a sleeping sender when the tail crosses this */
#endif
#ifndef LOOK_EVERY
#define LOOK_EVERY 2 /* commits with `more` until the look that they owe is made up for */
#endif
#define BUFFER 2 /* stores that a side can have under way */

/* --- the mechanisms, each can be taken away --- */
#ifndef COMMIT_FENCE
#define COMMIT_FENCE 1 /* the sender fences between publishing and looking at `armed` */
#endif
#ifndef OWED_LOOK
#define OWED_LOOK 1 /* the look that a commit with `more` leaves out is made up for */
#endif
#ifndef RECEIVER_FENCE
#define RECEIVER_FENCE 1 /* between arming and looking */
#endif
#ifndef SPACE_FENCES
#define SPACE_FENCES 1 /* sender: arming, then tail; receiver: tail, then `waiting` */
#endif
#ifndef SPACE_LOOK
#define SPACE_LOOK 1 /* a sender that waits for space looks by itself now and then */
#endif

/* --- what may happen --- */
#ifndef STALL
#define STALL 1 /* after a commit without `more` the sender computes for ever: no return */
#endif
#ifndef SENDER_DIES
#define SENDER_DIES 0 /* how often, between any two steps; a successor goes on */
#endif
#ifndef RECEIVER_DIES
#define RECEIVER_DIES 0
#endif

/* Shared memory, as everybody sees it. */
byte head, tail;     /* messages published; acknowledged */
byte armed, waiting; /* odd: the receiver sleeps for messages; the sender sleeps for space */
bool data_bell, space_bell;

/* Numbers of sleeps wrap in the code after 2^32. Here the receiver's have room for every sleep that a
 * world of this size can bring; the sender's wrap, because it may look at the clock for ever. */
#define SLEEP(n) ((n) & 63)
#define SPACE_SLEEP(n) ((n) & 7)

mtype = {HEAD, WAITING, TAIL, ARMED};
chan sender_stores = [BUFFER] of {mtype, byte};
chan receiver_stores = [BUFFER] of {mtype, byte};

byte published;           /* by any sender, whether visible or not */
byte received;            /* all before it were acknowledged by a receiver */
bool sender_done;         /* nothing more will be published */
bool sender_died;         /* the link says so to the receiver (once per death) */
bool kill_sender, kill_receiver;

active proctype sender_buffer() {
  byte value;
end:
  do
  :: d_step { sender_stores?HEAD, value -> head = value; }
  :: d_step { sender_stores?WAITING, value -> waiting = value; }
  od
}

active proctype receiver_buffer() {
  byte value;
end:
  do
  :: d_step { receiver_stores?TAIL, value -> tail = value }
  :: d_step { receiver_stores?ARMED, value -> armed = value }
  od
}

#define SENDER_FENCED empty(sender_stores)
#define RECEIVER_FENCED empty(receiver_stores)

/* ------------------------------------------------------------------ sender */

/* RingSender::must_wake(). The bell is a system call, and no fence here: one that drained the buffer
 * would only hide mistakes. */
inline look_at_armed() {
#if COMMIT_FENCE
  SENDER_FENCED;
#endif
  atomic {
    if
    :: armed % 2 == 1 && armed != s_rung -> s_rung = armed; s_ring = true
    :: else -> s_ring = false
    fi
  }
  if
  :: s_ring -> data_bell = true; s_ring = false
  :: else
  fi
}

/* SendingChannel::wake(): what is owed since the last look. */
inline make_up() {
#if OWED_LOOK
  if
  :: owed > 0 -> owed = 0; look_at_armed()
  :: else
  fi
#else
  owed = 0
#endif
}

/* Endpoint::State::wait_for_space(), from where the ring is found full. */
inline wait_for_space() {
  make_up(); /* before anything waits */
  s_waiting = SPACE_SLEEP(s_waiting + 1); sender_stores!WAITING, s_waiting;
  do
  ::
#if SPACE_FENCES
    SENDER_FENCED;
#endif
    s_tail = tail;
    if
    :: s_head - s_tail < CAPACITY -> break
    :: else
    fi;
    if
    :: space_bell -> space_bell = false
#if SPACE_LOOK
    :: true /* a millisecond has passed */
#endif
    fi;
    s_waiting = SPACE_SLEEP(s_waiting + 1); sender_stores!WAITING, s_waiting;
    s_waiting = SPACE_SLEEP(s_waiting + 1); sender_stores!WAITING, s_waiting
  od;
  s_waiting = SPACE_SLEEP(s_waiting + 1); sender_stores!WAITING, s_waiting
}

active proctype sender() {
  byte s_head, s_tail, s_waiting, s_rung, owed;
  bool s_ring;
attach: /* RingSender(): goes on where the published records end */
  atomic {
    s_head = head; s_tail = tail; s_rung = 0; owed = 0; s_ring = false;
    s_waiting = SPACE_SLEEP((waiting + 1) & 14);
  }
  sender_stores!WAITING, s_waiting;
  {
    do
    :: s_head == MESSAGES -> break
    :: s_head < MESSAGES ->
       if
       :: s_head - s_tail == CAPACITY ->
          s_tail = tail;
          if
          :: s_head - s_tail == CAPACITY -> wait_for_space()
          :: else
          fi
       :: else
       fi;
       atomic { sender_stores!HEAD, s_head + 1 -> s_head++; published = s_head }
       if
       :: owed + 1 < LOOK_EVERY -> owed++ /* `more`: no look now */
       :: true -> owed = 0; look_at_armed();
#if STALL
          if
          :: true -> goto stalled
          :: true
          fi
#endif
       fi
    od;
    make_up(); /* the callback returns */
stalled:
    sender_done = true
  } unless {
    /* Killed: what is in the buffer still becomes visible, then the successor attaches. */
    atomic { kill_sender -> kill_sender = false }
    SENDER_FENCED;
    sender_died = true;
    goto attach
  }
}

/* ---------------------------------------------------------------- receiver */

/* RingReceiver::must_wake(idle): a look at `waiting` when the tail went on by a
 * step since the last one. */
inline look_at_waiting(step) {
  if
  :: r_tail - told >= step ->
     told = r_tail;
#if SPACE_FENCES
     RECEIVER_FENCED;
#endif
     atomic {
       if
       :: waiting % 2 == 1 && waiting != r_rung -> r_rung = waiting; r_ring = true
       :: else -> r_ring = false
       fi
     }
     if
     :: r_ring -> space_bell = true; r_ring = false
     :: else
     fi
  :: else
  fi
}

inline disarm() {
  r_armed = SLEEP(r_armed + 1); receiver_stores!ARMED, r_armed
}

active proctype receiver() {
  byte r_tail, r_armed, told, r_rung;
  bool r_ring;
attach: /* RingReceiver(): goes on at the tail */
  atomic {
    r_tail = tail; told = tail; r_rung = 0; r_ring = false;
    r_armed = SLEEP((armed + 1) & 62);
  }
  receiver_stores!ARMED, r_armed;
  {
    do
    :: head > r_tail -> /* next(), the handler, release() */
progress_message:
       atomic { receiver_stores!TAIL, r_tail + 1 -> r_tail++; received = r_tail }
       look_at_waiting(STEP)
    :: head == r_tail -> /* Empty */
       if
       :: r_tail == MESSAGES -> break
       :: else
       fi;
       look_at_waiting(1);
       r_armed = SLEEP(r_armed + 1); receiver_stores!ARMED, r_armed;
#if RECEIVER_FENCE
       RECEIVER_FENCED;
#endif
       if
       :: head > r_tail -> disarm()
       :: head == r_tail ->
end_asleep: /* a sender that stalled and has published no more leaves it here, rightly */
          if
          :: data_bell -> data_bell = false
          :: sender_died -> sender_died = false
          fi;
          disarm()
       fi
    od
  } unless {
    atomic { kill_receiver -> kill_receiver = false }
    RECEIVER_FENCED;
    goto attach
  }
}

#if SENDER_DIES + RECEIVER_DIES > 0
active proctype fate() {
  byte senders = SENDER_DIES, receivers = RECEIVER_DIES;
  do
  :: senders > 0 && !sender_done -> senders--; kill_sender = true
  :: receivers > 0 && received < MESSAGES -> receivers--; kill_receiver = true
  :: break
  od
}
#endif

/* Nothing can move any more: then every published message was received. */
active proctype judge() {
  timeout;
  assert(sender_done && received == published)
}
