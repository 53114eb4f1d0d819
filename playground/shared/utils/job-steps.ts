/** What every job does, in this order: the server works through it, the page shows where it stands. */
export const JOB_STEPS = ['Collecting pages', 'Reading text', 'Building the index', 'Checking links', 'Writing the report']
