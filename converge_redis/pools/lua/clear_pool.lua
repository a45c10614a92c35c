-- clear_pool: Remove a batch of the members of a deleted pool.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   pool id
-- Reply     {"MORE"} | {"CLEAR"}: no members are left, or a new pool has the id
--@include pools/pools

local id = ARGV[1]
if deletion_call(id) then
  remove_members(id)
end
return { deletion_call(id) and "MORE" or "CLEAR" }
