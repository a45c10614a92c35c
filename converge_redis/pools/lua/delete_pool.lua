-- delete_pool: takes a pool out of all that can be read. Its members are cleared away by clear_pool.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   call id
-- ARGV[2]   pool id
-- Reply     {"DELETED"} | {"UNKNOWN"}
--@include pools/pools

local call, id = ARGV[1], ARGV[2]
local pool = load(id)
if deleting_call(id) == call or (pool and has_seen(pool, call)) then
  return { "DELETED" }
end
sweep_deleted_pools()
if not pool then
  return { "UNKNOWN" }
end
redis.call("UNLINK", records .. id, admits .. id)
redis.call("ZREM", pools, id)
redis.call("HSET", deleted, id, call .. int(now))
return { "DELETED" }
