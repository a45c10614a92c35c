-- sweep: Apply a bounded part of what is due in a shard.
-- KEYS[1]   the shard (core/shard_keys)
-- Reply     {"MORE"}: call again | {"DONE"}
--@include tasks/sweep_due

local _, more = sweep_due()
return { more and "MORE" or "DONE" }
