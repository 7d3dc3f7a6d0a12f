"""From decoded values to a cursor in the task's workspace: the optional stage after the decoder."""
