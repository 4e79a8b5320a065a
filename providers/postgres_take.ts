/**
 * Taking: which free trees a node of a PostgreSQL store may have, and which it takes.
 * @module
 */

/** The lease of a tree that lasts for as long as its node's. */
export const BY_NODE = Number.MAX_SAFE_INTEGER;
/** Free trees of each kind that are looked at in one statement at most. */
const LOOKED_MAX = 512;

/** Whether `me` may have tree `t` by what the tree asks for. */
export const fitsOf = (selector: string): string =>
  `((t.selector IS NULL OR me.labels @> ${selector})
  AND (t.wanted IS NULL OR t.wanted = me.id OR NOT EXISTS (
    SELECT FROM $.nodes w WHERE w.id = t.wanted AND w.state = 'active'
      AND w.until > $.now_ms())))`;

const FITS = fitsOf("t.selector");
/** An order is taken by who does not have what the tree runs on: so it can be ended. */
export const CLAIMED_FOR = `CASE $3::text WHEN 'order' THEN (
  SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(t.selector)
  WHERE key NOT LIKE '%:%') ELSE t.selector END`;

/** How many of each kind are looked at: as many as all nodes want that look at the same time. */
const LOOKS = "(SELECT coalesce(max(n), 0)::bigint FROM looks)";

/**
 * Takes free trees: those that are ready in order of number, those that are due in order of time,
 * those with an inbox in the order in which it was written, all kinds in turn.
 */
export const TAKE = `
  WITH me AS (
    SELECT id, labels, capacity FROM $.nodes
    WHERE id = $1 AND state = 'active' AND until > $.now_ms()
  ), peers AS (
    SELECT sum(CASE WHEN id = $1 THEN $3::integer ELSE active END) AS active,
      sum(capacity) AS capacity FROM $.nodes WHERE state = 'active' AND until > $.now_ms()
  ), looks AS (
    SELECT least(${LOOKED_MAX}, $4::integer * (1 + ceil(
      peers.capacity::float8 / greatest(1, me.capacity)))) AS n FROM me, peers
  ), free AS (
    SELECT id, min(rank) AS rank FROM (
      (SELECT t.id, row_number() OVER (ORDER BY t.id) AS rank FROM $.trees t, me
       WHERE t.ready AND t.live AND t.owner IS NULL AND NOT t.id = ANY($6::bigint[]) AND ${FITS}
       ORDER BY t.id LIMIT ${LOOKS})
      UNION ALL
      (SELECT t.id, row_number() OVER (ORDER BY t.due) AS rank FROM $.trees t, me
       WHERE t.due <= $2::bigint AND t.due IS NOT NULL AND t.live AND t.owner IS NULL
         AND NOT t.id = ANY($6::bigint[]) AND ${FITS}
       ORDER BY t.due LIMIT ${LOOKS})
      UNION ALL
      (SELECT id, row_number() OVER (ORDER BY n) AS rank FROM (
         SELECT t.id, i.n FROM (
           SELECT tree, min(n) AS n FROM $.inbox GROUP BY tree ORDER BY n OFFSET 0) i
         CROSS JOIN LATERAL (SELECT * FROM $.trees WHERE id = i.tree AND owner IS NULL) t, me
         WHERE NOT t.id = ANY($6::bigint[]) AND ${FITS}
         ORDER BY i.n LIMIT ${LOOKS}) AS heard)
      UNION ALL
      (SELECT t.id, 0 AS rank FROM $.trees t, me
       WHERE t.wanted = me.id AND t.live AND t.owner IS NULL LIMIT ${LOOKS})
    ) AS found GROUP BY id
  ), room AS (
    SELECT greatest(0, least($4::integer, me.capacity - $3::integer,
      CASE WHEN $5::integer = 1 THEN $4::integer ELSE ceil(
        (peers.active + (SELECT count(*) FROM free))::float8 * me.capacity
          / greatest(1, peers.capacity))::integer - $3::integer END)) AS n
    FROM me, peers
  ), picked AS (
    SELECT t.id FROM $.trees t JOIN free ON free.id = t.id WHERE t.owner IS NULL
    ORDER BY free.rank, t.id LIMIT (SELECT n FROM room) FOR UPDATE OF t SKIP LOCKED
  ), taken AS (
    UPDATE $.trees t SET owner = $1, lease = ${BY_NODE}, epoch = t.epoch + 1, wanted = NULL
    FROM picked WHERE t.id = picked.id RETURNING t.id, t.epoch
  ), noted AS (
    UPDATE $.nodes SET active = $3::integer + (SELECT count(*) FROM taken),
      taken = taken + (SELECT count(*) FROM taken) WHERE id = $1
  )
  SELECT taken.id, taken.epoch, (SELECT count(*) FROM free) AS free
  FROM (SELECT 1) AS one LEFT JOIN taken ON true ORDER BY taken.id`;
