// The same aggregation by DuckDB on one thread: engine.js SAMPLES.csv; needs @duckdb/node-api.
const { DuckDBInstance } = require('@duckdb/node-api');

const SQL = `SELECT component, fine, count(*) AS hosts FROM (
	SELECT component, host, CASE WHEN max(bytes) < 1048576 THEN 0
		ELSE 1 + CAST(floor((log2(max(bytes)) - 20) * 32) AS INTEGER) END AS fine
	FROM s GROUP BY component, host) GROUP BY component, fine`;

(async () => {
	const db = await (await DuckDBInstance.create(':memory:')).connect();
	const get = async (q) => (await db.runAndReadAll(q)).getRows();
	await db.run('SET threads = 1');
	await db.run(`CREATE TABLE s AS SELECT component::USMALLINT AS component,
		host::UINTEGER AS host, bytes::UBIGINT AS bytes FROM read_csv('${process.argv[2]}')`);
	const n = Number((await get('SELECT count(*) FROM s'))[0][0]);
	let best = Infinity;
	for (let i = 0; i < 5; i++) {
		const t = process.hrtime.bigint();
		await db.run(`CREATE OR REPLACE TABLE r AS ${SQL}`);
		best = Math.min(best, Number(process.hrtime.bigint() - t));
	}
	const [version] = (await get('SELECT version()'))[0];
	const [groups, hosts, sum] = (await get('SELECT count(*), sum(hosts), sum(fine * hosts) FROM r'))[0];
	console.log(`  ${`GROUP BY in DuckDB ${version}, table in memory, 1 thread`.padEnd(52)} ${(best / n).toFixed(2).padStart(6)}`);
	console.log(`result: ${groups} groups, ${hosts} hosts, sum of bucket x hosts ${sum}`);
})();
