-- sweep: applies what time has done to tasks, a bounded part of it.
-- KEYS[1]   the shard (core/shard_keys)
-- Reply     {"MORE"}: call again | {"DONE"}
--@include tasks/expiry

local _, more = sweep_due()
return { more and "MORE" or "DONE" }
