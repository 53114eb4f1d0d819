/** Steps of every job, in this order: the server runs them, the page shows the current one. */
export const JOB_STEPS = ['Collecting pages', 'Reading text', 'Building the index', 'Checking links', 'Writing the report']
