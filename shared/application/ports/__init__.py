"""What the use cases need from the outside, as protocols; adapters implement them.

The words: a *mailbox* is a configured inbound connection. A *source* reads one mailbox at its provider and
knows nothing of tickets. A *ref* is the provider's handle of one message; a *cursor* is where listing
resumes, opaque to everybody but the source. *Settlement* is what is done to a message in its mailbox
afterwards. A *receipt* says that a message was taken in.
"""
